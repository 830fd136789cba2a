# Per group: how many, sum of scores, different tags, words of a nested text.
group_by(.group)
| map({
    g: .[0].group,
    n: length,
    s: (map(.score) | add),
    t: (map(.tags[]) | unique | length),
    m: (map(.nested.a.c | ascii_upcase | split(" ")) | add | length)
  })
