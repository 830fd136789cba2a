// Goroutines that allocate by C's malloc and by Go's runtime, on threads that come and go.
//
// Reads commands, one a line: "run" (they begin), "halt" (they stop; prints the truth), "end".
package main

/*
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) static void *by_c(size_t bytes)
{
	void *p = malloc(bytes);

	if (p)
		memset(p, 1, bytes);
	return p;
}

__attribute__((noinline)) static void back(void *p)
{
	free(p);
}
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

const workers = 4

var (
	bornBlocks, bornBytes, diedBlocks, diedBytes uint64
	kept                                         [workers][]byte
)

func work(number int, stop *int32, done *sync.WaitGroup) {
	var blocks [50]unsafe.Pointer

	defer done.Done()
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	for i := 0; i == 0 || atomic.LoadInt32(stop) == 0; i++ {
		for j := range blocks {
			blocks[j] = C.by_c(C.size_t(10 + j))
			atomic.AddUint64(&bornBlocks, 1)
			atomic.AddUint64(&bornBytes, uint64(10+j))
		}
		kept[number] = make([]byte, 1000+i%1000)
		for j := range blocks {
			C.back(blocks[j])
			atomic.AddUint64(&diedBlocks, 1)
			atomic.AddUint64(&diedBytes, uint64(10+j))
		}
	}
}

func tell(at string) {
	fmt.Printf("{\"at\":%q,\"pid\":%d,\"sites\":[{\"site\":\"by_c\",\"allocated_blocks\":%d,"+
		"\"allocated_bytes\":%d,\"freed_blocks\":%d,\"freed_bytes\":%d}]}\n",
		at, os.Getpid(), bornBlocks, bornBytes, diedBlocks, diedBytes)
}

func main() {
	var stop int32
	var done sync.WaitGroup

	runtime.GC()
	tell("start")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan() && lines.Text() != "end"; {
		if lines.Text() == "run" {
			atomic.StoreInt32(&stop, 0)
			done.Add(workers)
			for i := 0; i < workers; i++ {
				go work(i, &stop, &done)
			}
			continue
		}
		atomic.StoreInt32(&stop, 1)
		done.Wait()
		tell("halt")
	}
}
