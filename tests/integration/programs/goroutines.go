// A static Go program: goroutines, channels, maps, garbage, timers, files, panics.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

func sieve(limit int) int {
	source := make(chan int)
	// It has the first channel for good, while `source` becomes another with every prime.
	go func(out chan int) {
		for i := 2; i < limit; i++ {
			out <- i
		}
		close(out)
	}(source)
	count := 0
	for {
		prime, ok := <-source
		if !ok {
			return count
		}
		count++
		next := make(chan int)
		go func(in, out chan int) {
			for n := range in {
				if n%prime != 0 {
					out <- n
				}
			}
			close(out)
		}(source, next)
		source = next
	}
}

func workers(jobs int) uint64 {
	var group sync.WaitGroup
	var mutex sync.Mutex
	var total uint64
	for i := 0; i < jobs; i++ {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			sum := sha256.Sum256([]byte(strconv.Itoa(n)))
			mutex.Lock()
			total += uint64(sum[0])<<8 | uint64(sum[1])
			mutex.Unlock()
		}(i)
	}
	group.Wait()
	return total
}

func garbage() int {
	table := map[string][]int{}
	for i := 0; i < 200000; i++ {
		key := strings.Repeat("k", i%20) + strconv.Itoa(i%1000)
		table[key] = append(table[key][:0:0], i, i+1)
	}
	runtime.GC()
	keys := make([]string, 0, len(table))
	for key := range table {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return len(keys)
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "panic" {
		var nothing *int
		fmt.Println(*nothing)
	}
	jobs, _ := strconv.Atoi(os.Args[1])
	fmt.Println(sieve(1500), workers(jobs), garbage())
	ticker := time.NewTicker(5 * time.Millisecond)
	for i := 0; i < 5; i++ {
		<-ticker.C
	}
	select {
	case <-time.After(20 * time.Millisecond):
		fmt.Println("timeout")
	case <-make(chan int):
	}
	func() {
		defer func() { fmt.Println("recovered:", recover()) }()
		var nothing map[string]int
		nothing["x"] = 1
	}()
	file, err := os.CreateTemp("", "compat")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Fprintln(file, "text")
	info, _ := file.Stat()
	fmt.Println(info.Size(), os.Remove(file.Name()))
	// A loop without calls must not keep the others from running.
	stop := false
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		for i := 0; i < 200_000_000; i++ {
			if i == -1 {
				stop = true
			}
		}
	}()
	time.Sleep(10 * time.Millisecond)
	done.Wait()
	fmt.Println(stop)
}
