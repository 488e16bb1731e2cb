// A WASI command: reports what it was given, and ends as its last argument says.
package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

func main() {
	for _, arg := range os.Args {
		fmt.Println("arg", arg)
	}
	for _, variable := range os.Environ() {
		fmt.Println("env", variable)
	}
	_, err := io.Copy(os.Stdout, os.Stdin)
	check("stdin", err)
	last := ""
	if len(os.Args) > 0 {
		last = os.Args[len(os.Args)-1]
	}
	switch last {
	case "panic":
		panic("as asked")
	case "random":
		fmt.Printf("random %016x\n", rand.Uint64())
	case "time":
		start := time.Now()
		time.Sleep(2 * time.Millisecond)
		fmt.Println("slept", time.Since(start) >= 2*time.Millisecond)
		fmt.Println("since 1970", time.Now().After(time.Unix(0, 0)))
	case "files":
		check("files", files("/data"))
	default:
		code, _ := strconv.Atoi(last)
		os.Exit(code)
	}
}

// check ends the program where what it tried did not work.
func check(tried string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", tried, err)
		os.Exit(1)
	}
}

// files does with files what programs do, and says what came of it.
func files(folder string) error {
	in := func(name string) string { return filepath.Join(folder, name) }
	input, err := os.ReadFile(in("input"))
	if err != nil {
		return err
	}
	stat, err := os.Stat(in("input"))
	if err != nil {
		return err
	}
	fmt.Printf("input %d bytes: %s\n", stat.Size(), input)
	if err := list(folder, "list"); err != nil {
		return err
	}
	outside, err := os.ReadFile(folder + "/../outside")
	if err != nil {
		outside = []byte("refused")
	}
	fmt.Printf("outside %s\n", outside)

	if err := os.WriteFile(in("output"), []byte("first\n"), 0o666); err != nil {
		return err
	}
	file, err := os.OpenFile(in("output"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	if _, err := file.WriteString("second\n"); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if file, err = os.Open(in("output")); err != nil {
		return err
	}
	if _, err := file.Seek(6, io.SeekStart); err != nil {
		return err
	}
	rest, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	if stat, err = file.Stat(); err != nil {
		return err
	}
	fmt.Printf("output %d bytes, then %s", stat.Size(), rest)
	if err := file.Close(); err != nil {
		return err
	}

	if err := os.Mkdir(in("made"), 0o777); err != nil {
		return err
	}
	if err := os.Rename(in("output"), in("made/moved")); err != nil {
		return err
	}
	if err := list(in("made"), "made"); err != nil {
		return err
	}
	moved, err := os.ReadFile(in("made/moved"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(in("output"), moved, 0o666); err != nil {
		return err
	}
	if err := os.RemoveAll(in("made")); err != nil {
		return err
	}
	return list(folder, "list")
}

// list prints the names in a directory, in order, those of directories with a slash.
func list(folder, label string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	fmt.Print(label)
	for _, entry := range entries {
		fmt.Print(" ", entry.Name())
		if entry.IsDir() {
			fmt.Print("/")
		}
	}
	fmt.Println()
	return nil
}
