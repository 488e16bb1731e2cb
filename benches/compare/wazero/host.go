package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

const prefix = "CUSTOM"

// A host is one runtime, whose compiled modules share its cache.
type host struct {
	runtime wazero.Runtime
}

type plugin struct {
	host   *host
	module wazero.CompiledModule
}

type instance struct {
	module                                api.Module
	allocate, deallocate, processed, adds api.Function
	stack                                 [2]uint64
}

var errBounds = errors.New("out of bounds")

func newHost(config wazero.RuntimeConfig) *host {
	runtime := wazero.NewRuntimeWithConfig(background, config)
	wasi_snapshot_preview1.MustInstantiate(background, runtime)
	i32, i64 := api.ValueTypeI32, api.ValueTypeI64
	read := func(module api.Module, stack []uint64) []byte {
		text, ok := module.Memory().Read(uint32(stack[0]), uint32(stack[1]))
		if !ok {
			panic(errBounds)
		}
		return text
	}
	builder := runtime.NewHostModuleBuilder("env")
	define := func(name string, f api.GoModuleFunc, params, results []api.ValueType) {
		builder.NewFunctionBuilder().WithGoModuleFunction(f, params, results).Export(name)
	}
	two, one := []api.ValueType{i32, i32}, []api.ValueType{i32}
	logged := 0
	define("host_log", func(_ context.Context, module api.Module, stack []uint64) {
		logged += len(read(module, stack))
	}, two, nil)
	define("host_get_config", func(ctx context.Context, module api.Module, stack []uint64) {
		if !bytes.Equal(read(module, stack), []byte("prefix")) {
			stack[0] = 0
			return
		}
		size := []uint64{uint64(len(prefix))}
		if err := module.ExportedFunction("allocate").CallWithStack(ctx, size); err != nil {
			panic(err)
		}
		if !module.Memory().WriteString(uint32(size[0]), prefix) {
			panic(errBounds)
		}
		stack[0] = size[0]<<32 | uint64(len(prefix))
	}, two, []api.ValueType{i64})
	define("next", func(_ context.Context, _ api.Module, stack []uint64) { stack[0]++ }, one, one)
	define("length", func(_ context.Context, module api.Module, stack []uint64) {
		stack[0] = uint64(len(read(module, stack)))
	}, two, one)
	if _, err := builder.Instantiate(background); err != nil {
		panic(err)
	}
	return &host{runtime}
}

func (h *host) load(wasm []byte) (*plugin, error) {
	module, err := h.runtime.CompileModule(background, wasm)
	if err != nil {
		return nil, err
	}
	return &plugin{h, module}, nil
}

// firstAnswer loads a module and calls it once. If the module is loaded elsewhere too, it stays open: closing it would
// close its code for all.
func (h *host) firstAnswer(wasm []byte, elsewhere bool) error {
	p, err := h.load(wasm)
	if err != nil {
		return err
	}
	if err := p.once(input(11)); err != nil || elsewhere {
		return err
	}
	return p.module.Close(background)
}

func (p *plugin) instance() (*instance, error) {
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize")
	module, err := p.host.runtime.InstantiateModule(background, p.module, config)
	if err != nil {
		return nil, err
	}
	return &instance{
		module:     module,
		allocate:   module.ExportedFunction("allocate"),
		deallocate: module.ExportedFunction("deallocate"),
		processed:  module.ExportedFunction("process"),
		adds:       module.ExportedFunction("add"),
	}, nil
}

// once calls a new instance.
func (p *plugin) once(text []byte) error {
	i, err := p.instance()
	if err != nil {
		return err
	}
	if err := i.check(text); err != nil {
		return err
	}
	return i.module.Close(background)
}

// process makes five guest calls: allocate, process with allocate inside, deallocate twice.
func (i *instance) process(text []byte) ([]byte, error) {
	stack, size := i.stack[:], uint64(len(text))
	stack[0] = size
	if err := i.allocate.CallWithStack(background, stack); err != nil {
		return nil, err
	}
	at := stack[0]
	if !i.module.Memory().Write(uint32(at), text) {
		return nil, errBounds
	}
	stack[0], stack[1] = at, size
	if err := i.processed.CallWithStack(background, stack); err != nil {
		return nil, err
	}
	found, length := stack[0]>>32, stack[0]&0xffffffff
	read, ok := i.module.Memory().Read(uint32(found), uint32(length))
	if !ok {
		return nil, errBounds
	}
	answer := bytes.Clone(read)
	stack[0], stack[1] = at, size
	if err := i.deallocate.CallWithStack(background, stack); err != nil {
		return nil, err
	}
	stack[0], stack[1] = found, length
	return answer, i.deallocate.CallWithStack(background, stack)
}

func (i *instance) check(text []byte) error {
	answer, err := i.process(text)
	if err != nil {
		return err
	}
	if expected := append([]byte(prefix+"_"), bytes.ToUpper(text)...); !bytes.Equal(answer, expected) {
		return fmt.Errorf("wrong answer: %.80q", answer)
	}
	return nil
}

func (i *instance) add() error {
	i.stack = [2]uint64{10, 20}
	if err := i.adds.CallWithStack(background, i.stack[:]); err != nil {
		return err
	}
	if i.stack[0] != 30 {
		return fmt.Errorf("10 + 20 is not %d", i.stack[0])
	}
	return nil
}

func input(size int) []byte {
	text := bytes.Repeat([]byte("hello world"), size/11+1)
	return text[:size]
}

var number uint32

// numbered returns the module with a custom section that no other one has, so that no cache knows it.
func numbered(wasm []byte) []byte {
	number++
	module := append(bytes.Clone(wasm), 0, 6, 1, 'n')
	return binary.LittleEndian.AppendUint32(module, number)
}
