// Package hosteljson is for plugins that take and return JSON. It is apart from package hostel, since encoding/json adds a
// megabyte to a plugin.
package hosteljson

import (
	"encoding/json"
	"fmt"
	"unsafe"

	"github.com/hostel-rs/hostel/guests/go/hostel"
)

// Call calls function with the input, and returns its answer, both as JSON by encoding/json. Input that is not the JSON of
// an In is an error.
func Call[In, Out any](ptr unsafe.Pointer, size uint32, function func(In) (Out, error)) uint64 {
	return hostel.Bytes(ptr, size, func(input []byte) ([]byte, error) {
		var in In
		if err := json.Unmarshal(input, &in); err != nil {
			return nil, fmt.Errorf("input is not the expected JSON: %w", err)
		}
		out, err := function(in)
		if err != nil {
			return nil, err
		}
		return json.Marshal(out)
	})
}
