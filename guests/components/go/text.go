// Package export_hostel_example_text is the interface text of the plugin. The bindings, in the same package, name it so.
package export_hostel_example_text

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"hostel/plugin/imports/hostel_example_host"
	types "hostel/plugin/imports/hostel_example_text"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

func Customize(request types.Request) wit.Result[types.Response, types.Problem] {
	if request.Text == "" {
		return wit.Err[types.Response, types.Problem](types.MakeProblemEmpty())
	}
	if request.Style&types.Style_Ascii != 0 {
		for _, letter := range request.Text {
			if letter >= utf8.RuneSelf {
				return wit.Err[types.Response, types.Problem](types.MakeProblemNotAscii(letter))
			}
		}
	}
	text := Change(request.Text, request.Style, request.Frame)
	length := uint32(utf8.RuneCountInString(text))
	return wit.Ok[types.Response, types.Problem](types.Response{Text: text, Length: length})
}

// Change logs, changes the letters of a text and puts a frame around it.
func Change(text string, style types.Style, frame wit.Option[types.Frame]) string {
	hostel_example_host.Log(hostel_example_host.Level_Info, fmt.Sprintf("processing %d bytes", len(text)))
	if style&types.Style_Upper != 0 {
		// Only ASCII letters, as in the other languages.
		text = strings.Map(func(letter rune) rune {
			if 'a' <= letter && letter <= 'z' {
				return letter - 'a' + 'A'
			}
			return letter
		}, text)
	}
	if style&types.Style_Reverse != 0 {
		letters := []rune(text)
		slices.Reverse(letters)
		text = string(letters)
	}
	if frame.IsNone() {
		return text
	}
	switch frame := frame.Some(); frame.Tag() {
	case types.Frame_Configured:
		return hostel_example_host.Config("prefix").SomeOr("DEFAULT_PREFIX") + "_" + text
	case types.Frame_Prefix:
		return frame.Prefix() + text
	default:
		quotes := frame.Quotes()
		return string(quotes.F0) + text + string(quotes.F1)
	}
}

// A Tally counts words. The bindings need the handle and the pinner.
type Tally struct {
	pinner runtime.Pinner
	handle int32
	name   string
	counts map[string]uint32
}

func MakeTally(name string) *Tally {
	// A copy: the arguments' memory is given back after the call.
	return &Tally{name: strings.Clone(name), counts: map[string]uint32{}}
}

func (tally *Tally) OnDrop() {}

func (tally *Tally) Add(text string) uint32 {
	for word := range strings.SplitSeq(text, " ") {
		if word != "" {
			tally.counts[strings.Clone(word)]++
		}
	}
	return uint32(len(tally.counts))
}

func (tally *Tally) Counts() []wit.Tuple2[string, uint32] {
	counts := make([]wit.Tuple2[string, uint32], 0, len(tally.counts))
	for word, count := range tally.counts {
		counts = append(counts, wit.Tuple2[string, uint32]{F0: word, F1: count})
	}
	slices.SortFunc(counts, func(a, b wit.Tuple2[string, uint32]) int { return cmp.Compare(a.F0, b.F0) })
	return counts
}

func (tally *Tally) Name() string {
	return tally.name
}

func TallyMerge(left, right *Tally) *Tally {
	merged := MakeTally(left.name + "+" + right.name)
	for _, tally := range []*Tally{left, right} {
		for word, count := range tally.counts {
			merged.counts[word] += count
		}
	}
	return merged
}

func TallyFinish(tally *Tally) []wit.Tuple2[string, uint32] {
	counts := tally.Counts()
	tally.Drop()
	return counts
}
