// Nothing but Go: allocates by its runtime until its input ends.
package main

import (
	"bufio"
	"fmt"
	"os"
)

var kept []byte

func main() {
	go func() {
		for i := 0; ; i++ {
			kept = make([]byte, 100+i%1000)
		}
	}()
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
	}
}
