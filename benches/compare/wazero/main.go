// The side of wazero: does prepared work by lines on standard input, and answers with the times that it took. The
// program that writes the lines is in ../src/hosts/wazero.rs.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/tetratelabs/wazero"
)

var background = context.Background()

func main() {
	config := wazero.NewRuntimeConfigCompiler()
	if os.Args[1] == "interpreter" {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	h := newHost(config)
	if len(os.Args) > 2 {
		if err := grow(h, os.Args[3], os.Args[4], int64(atoi(os.Args[5])), os.Args[6:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	prepared := map[int]func(rounds int) error{}
	lines := bufio.NewScanner(os.Stdin)
	for number := 0; lines.Scan(); number++ {
		words := strings.Split(lines.Text(), " ")
		switch words[0] {
		case "prepare":
			work, err := prepare(h, words[1], atoi(words[2]), words[3])
			switch {
			case err != nil:
				fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", " "))
			case work == nil:
				fmt.Println("none")
			default:
				prepared[number] = work
				fmt.Println("ok", number)
			}
		case "run":
			processor, wall := processorTime(), time.Now()
			if err := prepared[atoi(words[1])](atoi(words[2])); err != nil {
				fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", " "))
				continue
			}
			fmt.Println(processorTime()-processor, time.Since(wall).Nanoseconds())
		case "drop":
			delete(prepared, atoi(words[1]))
			fmt.Println("ok")
		}
	}
}

// prepare returns what does the work so many times, or nil if wazero has no such thing. argument is the input's size,
// or the number of threads.
func prepare(h *host, work string, argument int, path string) (func(int) error, error) {
	wasm, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, err := h.load(wasm)
	if err != nil {
		return nil, err
	}
	text := input(argument)
	each := func(round func() error) func(int) error {
		return func(rounds int) error {
			for ; rounds > 0; rounds-- {
				if err := round(); err != nil {
					return err
				}
			}
			return nil
		}
	}
	switch work {
	case "held":
		i, err := p.instance()
		if err != nil {
			return nil, err
		}
		return each(func() error { _, err := i.process(text); return err }), i.check(text)
	case "new":
		return each(func() error { return p.once(text) }), nil
	case "add":
		i, err := p.instance()
		if err != nil {
			return nil, err
		}
		return each(i.add), nil
	case "numbers", "bytes", "run":
		i, err := p.instance()
		if err != nil {
			return nil, err
		}
		f := i.module.ExportedFunction(work)
		return each(func() error { return f.CallWithStack(background, nil) }), nil
	case "load":
		return each(func() error { return h.firstAnswer(numbered(wasm), false) }), nil
	case "load-again":
		return each(func() error { return h.firstAnswer(wasm, true) }), nil
	case "threads":
		text := input(11)
		return func(rounds int) error {
			var group sync.WaitGroup
			failures := make(chan error, argument)
			for range argument {
				group.Add(1)
				go func() {
					defer group.Done()
					if err := each(func() error { return p.once(text) })(rounds); err != nil {
						failures <- err
					}
				}()
			}
			group.Wait()
			close(failures)
			return <-failures
		}, nil
	}
	return nil, nil
}

// grow prints memory and processor time while plugins or instances grow in number.
func grow(h *host, kind, path string, mostBytes int64, counts []string) error {
	wasm, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	first, err := h.load(wasm)
	if err != nil {
		return err
	}
	if err := first.once(input(11)); err != nil {
		return err
	}
	var kept []any
	before, started := resident(), processorTime()
	count := 0
	for _, word := range counts {
		for ; count < atoi(word); count++ {
			if kind == "plugins" {
				p, err := h.load(numbered(wasm))
				if err != nil {
					return err
				}
				if err := p.once(input(11)); err != nil {
					return err
				}
				kept = append(kept, p)
				continue
			}
			i, err := first.instance()
			if err != nil {
				return err
			}
			if kind == "called" {
				if err := i.check(input(11)); err != nil {
					return err
				}
			}
			kept = append(kept, i)
		}
		bytes, time := resident()-before, processorTime()-started
		fmt.Println(count, max(bytes, 0), time)
		// As in ../src/memory.rs.
		if count >= 10 && (bytes*10 > mostBytes || time*10 > 60e9) {
			break
		}
	}
	os.Exit(0)
	return nil
}

func atoi(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

// resident returns the bytes of memory that this process has.
func resident() int64 {
	status, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		panic(err)
	}
	_, rest, _ := strings.Cut(string(status), "Rss:")
	return int64(atoi(strings.Fields(rest)[0])) << 10
}

// processorTime returns the nanoseconds that all threads of this process have had a processor.
func processorTime() int64 {
	const clockProcessCPUTimeID = 2
	var t syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockProcessCPUTimeID, uintptr(unsafe.Pointer(&t)), 0)
	return t.Nano()
}
