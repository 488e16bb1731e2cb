// A plugin that logs, reads a setting, and answers.
package main

import (
	"errors"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/hostel-rs/hostel/guests/go/hostel"
)

//go:wasmexport process
func process(ptr unsafe.Pointer, size uint32) uint64 {
	return hostel.Answer(customize(hostel.Input(ptr, size)))
}

func customize(input []byte) ([]byte, error) {
	if !utf8.Valid(input) {
		return nil, errors.New("input is not UTF-8")
	}
	hostel.Log("processing " + strconv.Itoa(len(input)) + " bytes")
	prefix, set := hostel.Config("prefix")
	if !set {
		prefix = "DEFAULT_PREFIX"
	}
	output := append([]byte(prefix), '_')
	for _, letter := range input {
		if 'a' <= letter && letter <= 'z' {
			letter -= 'a' - 'A'
		}
		output = append(output, letter)
	}
	return output, nil
}

func main() {}
