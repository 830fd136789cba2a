// Threads that allocate by Rust's allocator in every way it has: malloc, calloc, posix_memalign,
// realloc.
//
// Reads commands, one a line: "run" (they begin), "halt" (they stop; prints the truth), "end".
use std::alloc::{alloc, alloc_zeroed, dealloc, realloc, Layout};
use std::io::{self, BufRead};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;

const WORKERS: usize = 4;

static BORN_BLOCKS: AtomicU64 = AtomicU64::new(0);
static BORN_BYTES: AtomicU64 = AtomicU64::new(0);
static DIED_BLOCKS: AtomicU64 = AtomicU64::new(0);
static DIED_BYTES: AtomicU64 = AtomicU64::new(0);
static STOP: AtomicBool = AtomicBool::new(false);

fn born(bytes: usize) {
    BORN_BLOCKS.fetch_add(1, Relaxed);
    BORN_BYTES.fetch_add(bytes as u64, Relaxed);
}

fn died(bytes: usize) {
    DIED_BLOCKS.fetch_add(1, Relaxed);
    DIED_BYTES.fetch_add(bytes as u64, Relaxed);
}

#[inline(never)]
#[no_mangle]
unsafe fn by_rust(i: usize) -> (*mut u8, Layout) {
    let align = if i % 5 == 0 { 64 } else { 8 };
    let first = Layout::from_size_align(10 + i % 500, align).unwrap();
    let p = if i % 3 == 0 {
        alloc_zeroed(first)
    } else {
        alloc(first)
    };

    born(first.size());
    if i % 7 != 0 {
        return (p, first);
    }
    let second = Layout::from_size_align(2 * first.size(), align).unwrap();
    let q = realloc(p, first, second.size());

    died(first.size());
    born(second.size());
    (q, second)
}

fn work() {
    let mut i = 0;

    while i < 100 || !STOP.load(Relaxed) {
        unsafe {
            let (p, layout) = by_rust(i);
            dealloc(p, layout);
            died(layout.size());
        }
        i += 1;
    }
}

fn tell(at: &str) {
    println!(
        "{{\"at\":\"{}\",\"pid\":{},\"sites\":[{{\"site\":\"by_rust\",\"allocated_blocks\":{},\
         \"allocated_bytes\":{},\"freed_blocks\":{},\"freed_bytes\":{}}}]}}",
        at,
        std::process::id(),
        BORN_BLOCKS.load(SeqCst),
        BORN_BYTES.load(SeqCst),
        DIED_BLOCKS.load(SeqCst),
        DIED_BYTES.load(SeqCst)
    );
}

fn main() {
    let mut threads = Vec::new();

    tell("start");
    for line in io::stdin().lock().lines() {
        match line.unwrap().as_str() {
            "run" => {
                STOP.store(false, SeqCst);
                for _ in 0..WORKERS {
                    threads.push(thread::spawn(work));
                }
            }
            "end" => break,
            _ => {
                STOP.store(true, SeqCst);
                for thread in threads.drain(..) {
                    thread.join().unwrap();
                }
                tell("halt");
            }
        }
    }
}
