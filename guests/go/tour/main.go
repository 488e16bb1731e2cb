// Each feature of the packages hostel and hosteljson, in one plugin. `guests/tour/tests.toml` says what the functions do.
package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/hostel-rs/hostel/guests/go/hostel"
	"github.com/hostel-rs/hostel/guests/go/hostel/hosteljson"
)

//go:wasmimport shop price
func price(article string) uint64

//go:wasmexport bytes
func reverse(ptr unsafe.Pointer, size uint32) uint64 {
	return hostel.Bytes(ptr, size, func(input []byte) ([]byte, error) {
		output := slices.Clone(input)
		slices.Reverse(output)
		return output, nil
	})
}

//go:wasmexport text
func text(ptr unsafe.Pointer, size uint32) uint64 {
	return hostel.Text(ptr, size, func(input string) (string, error) {
		return strings.ToUpper(input), nil
	})
}

type order struct {
	Article string `json:"article"`
	Count   uint32 `json:"count"`
}

type bill struct {
	order
	Total uint32 `json:"total"`
}

//go:wasmexport json
func json(ptr unsafe.Pointer, size uint32) uint64 {
	return hosteljson.Call(ptr, size, func(order order) (bill, error) {
		return bill{order, order.Count * 1999}, nil
	})
}

//go:wasmexport fail
func fail(ptr unsafe.Pointer, size uint32) uint64 {
	return hostel.Text(ptr, size, func(input string) (string, error) {
		if _, err := strconv.Atoi(input); err != nil {
			return "", fmt.Errorf("`%s` is no number", input)
		}
		return input, nil
	})
}

//go:wasmexport setting
func setting(ptr unsafe.Pointer, size uint32) uint64 {
	return hostel.Text(ptr, size, func(key string) (string, error) {
		value, set := hostel.Config(key)
		if !set {
			return "unset", nil
		}
		return value, nil
	})
}

//go:wasmexport levels
func levels(ptr unsafe.Pointer, size uint32) uint64 {
	return hostel.Text(ptr, size, func(line string) (string, error) {
		for level := hostel.Trace; level <= hostel.Error; level++ {
			hostel.LogAt(level, line)
		}
		return "", nil
	})
}

//go:wasmexport count
func count(ptr unsafe.Pointer, size uint32) uint64 {
	return hostel.Text(ptr, size, func(key string) (string, error) {
		value, present, err := hostel.Get(key)
		if err != nil {
			return "", err
		}
		before := 0
		if present {
			if before, err = strconv.Atoi(string(value)); err != nil {
				return "", err
			}
		}
		count := strconv.Itoa(before + 1)
		return count, hostel.Set(key, []byte(count))
	})
}

//go:wasmexport keys
func keys(ptr unsafe.Pointer, size uint32) uint64 {
	return hostel.Text(ptr, size, func(prefix string) (string, error) {
		keys, err := hostel.List(prefix)
		return strings.Join(keys, ","), err
	})
}

//go:wasmexport forget
func forget(ptr unsafe.Pointer, size uint32) uint64 {
	return hostel.Text(ptr, size, func(key string) (string, error) {
		return "", hostel.Delete(key)
	})
}

//go:wasmexport fetch
func fetch(ptr unsafe.Pointer, size uint32) uint64 {
	return hostel.Text(ptr, size, func(url string) (string, error) {
		headers := []hostel.Header{{Name: "accept", Value: "text/plain"}}
		response, err := hostel.Send(hostel.Request{URL: url, Headers: headers})
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d %s %s", response.Status, response.Header("Content-Type"), response.Body), nil
	})
}

//go:wasmexport buy
func buy(ptr unsafe.Pointer, size uint32) uint64 {
	return hostel.Text(ptr, size, func(article string) (string, error) {
		cents, found := hostel.OptionalNumber(price(article))
		if !found {
			return "", errors.New("there is no such article")
		}
		return fmt.Sprint(cents), nil
	})
}

//go:wasmexport crash
func crash(ptr unsafe.Pointer, size uint32) uint64 {
	return hostel.Text(ptr, size, func(input string) (string, error) {
		panic("the input is " + input)
	})
}

func main() {}
