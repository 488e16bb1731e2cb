// Package hostel is for plugins in Go for the hostel host. Build them with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-s -w' -o plugin.wasm
//
// and export functions in the packed shape:
//
//	//go:wasmexport process
//	func process(ptr unsafe.Pointer, size uint32) uint64 {
//		input := hostel.Input(ptr, size)
//		return hostel.Answer(input, nil)
//	}
package hostel

import "unsafe"

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
	packed := hostGetConfig(key)
	ptr := uint32(packed >> 32)
	if ptr == 0 {
		return "", false
	}
	value := string(buffers[ptr][:uint32(packed)])
	deallocate(ptr, 0)
	return value, true
}
