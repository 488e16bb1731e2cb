// Package export_wit_world is the part of the plugin that its world exports directly. The bindings name it so.
package export_wit_world

import (
	"slices"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

func Reverse(data []byte) wit.Result[[]byte, string] {
	if len(data) == 0 {
		return wit.Err[[]byte, string]("no bytes")
	}
	slices.Reverse(data)
	return wit.Ok[[]byte, string](data)
}
