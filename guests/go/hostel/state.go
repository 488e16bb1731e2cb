package hostel

import (
	"encoding/binary"
	"math"
	"unsafe"
)

//go:wasmimport env host_state_get
func hostStateGet(key string) uint64

//go:wasmimport env host_state_set
func hostStateSet(key string, value unsafe.Pointer, size uint32) uint64

//go:wasmimport env host_state_delete
func hostStateDelete(key string) uint64

//go:wasmimport env host_state_list
func hostStateList(prefix string, after unsafe.Pointer, size, max uint32) uint64

// Get is the value that the host keeps under a key, and whether there is one. It outlives the call. A key is any bytes.
func Get(key string) ([]byte, bool, error) {
	return received(hostStateGet(key))
}

// Set has the host keep a value under a key.
func Set(key string, value []byte) error {
	_, _, err := received(hostStateSet(key, unsafe.Pointer(unsafe.SliceData(value)), uint32(len(value))))
	return err
}

// Delete removes a key and its value. It succeeds if there was none.
func Delete(key string) error {
	_, _, err := received(hostStateDelete(key))
	return err
}

// List is all keys that begin with the prefix, in the order of their bytes.
func List(prefix string) ([]string, error) {
	var keys []string
	var after unsafe.Pointer
	var size uint32
	for {
		page, _, err := received(hostStateList(prefix, after, size, math.MaxUint32))
		if err != nil || len(page) < 4 {
			return keys, err
		}
		for len(page) >= 4 {
			end := 4 + binary.LittleEndian.Uint32(page)
			keys = append(keys, string(page[4:end]))
			page = page[end:]
		}
		last := keys[len(keys)-1]
		after, size = unsafe.Pointer(unsafe.StringData(last)), uint32(len(last))
		if size == 0 {
			// A null pointer would begin with the first key again.
			after = unsafe.Pointer(&size)
		}
	}
}
