# A workload of a script: hashes of arrays of hashes, substitutions, a long join; work.pl COUNT.
use strict;
use warnings;

my $count = shift;
my (%entries, %pairs);
my $total = 0;

for my $i (1 .. $count) {
    my $key = "key" . ($i * 7919 % 100003);
    push @{ $entries{$key}{list} }, { i => $i, s => "v" x ($i % 50) };
    $entries{$key}{n}++;
    splice(@{ $entries{$key}{list} }, 0, 3) if @{ $entries{$key}{list} } > 6;
    my $text = "$key:$i";
    $text =~ s/(\d+)/<$1>/g;
    $total += length $text;
    my @parts = split /[<>]/, $text;
    $total += @parts;
}
my $all = join("\n", map {
    "$_=" . join(",", map { $_->{i} . $_->{s} } @{ $entries{$_}{list} })
} sort keys %entries);
$total += length $all;
$pairs{$_}++ for $all =~ /(\w{2})/g;
print "$total ", scalar(keys %pairs), "\n";
