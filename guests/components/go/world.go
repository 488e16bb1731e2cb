// Package export_wit_world is the part of the plugin that its world exports directly. The bindings name it so.
package export_wit_world

import (
	"unicode/utf8"

	text "hostel/plugin/exports/export_hostel_example_text"
	types "hostel/plugin/imports/hostel_example_text"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

func Process(input []byte) wit.Result[[]byte, string] {
	if !utf8.Valid(input) {
		return wit.Err[[]byte, string]("input is not UTF-8")
	}
	frame := wit.Some(types.MakeFrameConfigured())
	return wit.Ok[[]byte, string]([]byte(text.Change(string(input), types.Style_Upper, frame)))
}
