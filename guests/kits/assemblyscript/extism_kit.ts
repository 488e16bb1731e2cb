// A plugin for Extism, made with the kit `@extism/as-pdk`.
import { Config, Host, LogLevel, Var } from "@extism/as-pdk";
import { error_set } from "@extism/as-pdk/lib/env";
import { Memory } from "@extism/as-pdk/lib/pdk";

// Sets the message of a `throw` as the call's error, before the trap.
export function failed(message: string | null, file: string | null, line: u32, column: u32): void {
  error_set(Memory.allocateString(message === null ? "abort" : message).offset);
  unreachable();
}

// Sets a text as the output. The kit's `outputString` cuts it short if it is not ASCII.
function output(text: string): void {
  Host.output(Uint8Array.wrap(String.UTF8.encode(text)));
}

// Returns the input's bytes in reverse order.
export function reverse(): i32 {
  Host.output(Host.input().reverse());
  return 0;
}

// Returns the setting `greeting`, or `Hello`, before the input.
export function greet(): i32 {
  const name = Host.inputString();
  const greeting = Config.get("greeting");
  Host.log(LogLevel.Info, "greets " + name);
  output((greeting === null ? "Hello" : greeting) + ", " + name + "!");
  return 0;
}

// Counts in a variable how often it was called with this input.
export function count(): i32 {
  const key = Host.inputString();
  const before = Var.getString(key);
  const count = ((before === null ? 0 : i32.parse(before)) + 1).toString();
  Var.set(key, Uint8Array.wrap(String.UTF8.encode(count)));
  output(count);
  return 0;
}

// Removes the variable in which `count` counts.
export function forget(): i32 {
  Var.remove(Host.inputString());
  return 0;
}

// Fails with the input as the error's text.
export function fail(): i32 {
  throw new Error(Host.inputString());
}
