// Rust for the symbolizer: a method inlined into a function. Prints like sym_inline.c; the address is
// that of an instruction inside the inlined method.

pub struct Basket {
    things: Vec<u64>,
}

impl Basket {
    #[inline(always)]
    fn add(&mut self, thing: u64) {
        note("add"); /* at: add */
        self.things.push(thing);
    }
}

#[inline(never)]
fn note(label: &str) {
    let mut ip: usize;
    let base: usize;
    unsafe {
        // The caller's return address, by the frame pointer that this program is built with.
        std::arch::asm!("mov {}, [rbp + 8]", out(reg) ip);
        std::arch::asm!("lea {}, [rip + __ehdr_start]", out(reg) base);
    }
    ip -= base;
    println!("{} {:#x}", label, ip);
}

#[inline(never)]
fn fill(basket: &mut Basket, n: u64) {
    basket.add(n); /* at: fill */
}

fn main() {
    let mut basket = Basket { things: Vec::new() };
    fill(&mut basket, std::env::args().count() as u64);
    std::process::exit((basket.things.len() > 5) as i32);
}
