// Binary trees of many lives, grown on all processors. Prints the seconds that it took, and checks what it built.
package main

import (
	"fmt"
	"sync"
	"time"
)

const lasting, shortest, longest, nodes = 18, 4, 16, 1 << 21

type node struct{ left, right *node }

func grow(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{grow(depth - 1), grow(depth - 1)}
}

func (n *node) count() int {
	if n.left == nil {
		return 1
	}
	return 1 + n.left.count() + n.right.count()
}

func check(tree *node, depth int) {
	if tree.count() != 2<<depth-1 {
		panic("a tree has lost nodes")
	}
}

func main() {
	begin := time.Now()
	stays := grow(lasting)
	var group sync.WaitGroup
	for depth := shortest; depth <= longest; depth += 2 {
		group.Add(1)
		go func(depth int) {
			defer group.Done()
			for round := 0; round < nodes>>depth; round++ {
				check(grow(depth), depth)
			}
		}(depth)
	}
	group.Wait()
	check(stays, lasting)
	fmt.Println(time.Since(begin).Seconds())
}
