// Hashes on all processors; prints one number.
package main

import (
	"crypto/sha256"
	"fmt"
	"sync"
)

func main() {
	const parts, rounds = 16, 250000
	var sums [parts]byte
	var group sync.WaitGroup
	for part := 0; part < parts; part++ {
		group.Add(1)
		go func() {
			defer group.Done()
			state := sha256.Sum256([]byte{byte(part)})
			for i := 0; i < rounds; i++ {
				state = sha256.Sum256(state[:])
			}
			sums[part] = state[0]
		}()
	}
	group.Wait()
	fmt.Println(sums)
}
