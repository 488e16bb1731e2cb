// Package hostel is for plugins in Go for the hostel host. Build them with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-s -w' -o plugin.wasm
//
// and export functions in the packed shape:
//
//	//go:wasmexport process
//	func process(ptr unsafe.Pointer, size uint32) uint64 {
//		return hostel.Text(ptr, size, func(name string) (string, error) {
//			return "Hello, " + name, nil
//		})
//	}
//
// Bytes, Text and, for JSON, Call of package hosteljson call a function with the input, and return its answer or its error.
// They write the text of a panic to the plugin's log.
//
// Declare a function of your own host in one line. A result that is text, bytes or an optional number is a uint64,
// which OptionalBytes and OptionalNumber read:
//
//	//go:wasmimport shop price
//	func price(article string) uint64
package hostel

import (
	"errors"
	"fmt"
	"unicode/utf8"
	"unsafe"
)

// What the host may still read or write, by address: without it, the garbage collector would free it.
var buffers = map[uint32][]byte{}

// keep gives bytes an address that stays theirs until the host gives them back.
func keep(bytes []byte) uint32 {
	if cap(bytes) == 0 {
		bytes = make([]byte, 0, 1)
	}
	ptr := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(bytes))))
	buffers[ptr] = bytes
	return ptr
}

//go:wasmexport allocate
func allocate(size uint32) uint32 {
	return keep(make([]byte, size))
}

//go:wasmexport deallocate
func deallocate(ptr, size uint32) {
	delete(buffers, ptr)
}

// Input is what the host wrote for an exported function. It is the host's again when the function returns: keep copies.
func Input(ptr unsafe.Pointer, size uint32) []byte {
	return unsafe.Slice((*byte)(ptr), size)
}

// Answer makes an exported function's result of bytes, or of an error, which the host's caller then gets.
func Answer(bytes []byte, err error) uint64 {
	size := uint32(len(bytes))
	if err != nil {
		bytes = []byte(err.Error())
		size = uint32(len(bytes)) | 1<<31
	}
	return uint64(keep(bytes))<<32 | uint64(size)
}

// Bytes calls function with the input.
func Bytes(ptr unsafe.Pointer, size uint32, function func([]byte) ([]byte, error)) uint64 {
	defer logPanic()
	return Answer(function(Input(ptr, size)))
}

// Text calls function with the input as text. Input that is not UTF-8 is an error.
func Text(ptr unsafe.Pointer, size uint32, function func(string) (string, error)) uint64 {
	return Bytes(ptr, size, func(input []byte) ([]byte, error) {
		if !utf8.Valid(input) {
			return nil, errors.New("input is not UTF-8")
		}
		output, err := function(string(input))
		return []byte(output), err
	})
}

// logPanic logs the text of a panic, which goes on and stops the plugin.
func logPanic() {
	if cause := recover(); cause != nil {
		LogAt(Error, fmt.Sprint("panic: ", cause))
		panic(cause)
	}
}

// OptionalBytes is text or bytes that a host function returned, and whether there are any.
func OptionalBytes(packed uint64) ([]byte, bool) {
	ptr := uint32(packed >> 32)
	if ptr == 0 {
		return nil, false
	}
	bytes := buffers[ptr][:uint32(packed)]
	deallocate(ptr, 0)
	return bytes, true
}

// OptionalNumber is a number of 32 bits that a host function returned, and whether there is one.
func OptionalNumber(packed uint64) (uint32, bool) {
	return uint32(packed), packed>>32 != 0
}

// received is bytes, nothing, or an error of the host's, whose message begins with a code.
func received(packed uint64) ([]byte, bool, error) {
	bytes, present := OptionalBytes(packed &^ (1 << 31))
	if packed&(1<<31) != 0 {
		return nil, false, errors.New(string(bytes))
	}
	return bytes, present, nil
}

//go:wasmimport env host_log
func hostLog(text string)

//go:wasmimport env host_log_at
func hostLogAt(level uint32, text string)

//go:wasmimport env host_get_config
func hostGetConfig(key string) uint64

// Log writes one record to the plugin's log.
func Log(text string) {
	hostLog(text)
}

// Level is how important a record is.
type Level uint32

// The levels, from least to most important. Log writes at Info.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)

// LogAt writes one record to the plugin's log, at a level.
func LogAt(level Level, text string) {
	hostLogAt(uint32(level), text)
}

// Config is the value of a setting, and whether it is set.
func Config(key string) (string, bool) {
	value, set := OptionalBytes(hostGetConfig(key))
	return string(value), set
}
