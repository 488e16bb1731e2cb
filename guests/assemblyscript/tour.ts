// Each feature of hostel.ts, in one plugin. `guests/tour/tests.toml` says what the functions do. JSON is that of json-as.

import { JSON } from "json-as";
import { Level, Request, answer, answerText, config, fail as failed, isUtf8, logAt, optionalNumber, state } from "./hostel";
export { allocate, deallocate } from "./hostel";

@external("shop", "price") declare function price(article: usize, size: u32): u64;

function read(ptr: usize, size: u32): string {
  return String.UTF8.decodeUnsafe(ptr, size);
}

export function bytes(ptr: usize, size: u32): u64 {
  const output = new Uint8Array(size);
  for (let at: u32 = 0; at < size; at++) output[size - 1 - at] = load<u8>(ptr + at);
  return answer(output.buffer);
}

export function text(ptr: usize, size: u32): u64 {
  if (!isUtf8(ptr, size)) return failed("input is not UTF-8");
  return answerText(read(ptr, size).toUpperCase());
}

@json
class Order {
  article: string = "";
  count: u32 = 0;
}

@json
class Bill {
  article: string = "";
  count: u32 = 0;
  total: u32 = 0;
}

export function json(ptr: usize, size: u32): u64 {
  const order = JSON.parse<Order>(read(ptr, size));
  const bill = new Bill();
  bill.article = order.article;
  bill.count = order.count;
  bill.total = order.count * 1999;
  return answerText(JSON.stringify(bill));
}

export function fail(ptr: usize, size: u32): u64 {
  const input = read(ptr, size);
  const number = parseInt(input);
  if (isNaN(number)) return failed("`" + input + "` is no number");
  return answerText((number as i32).toString());
}

export function setting(ptr: usize, size: u32): u64 {
  const value = config(read(ptr, size));
  return answerText(value == null ? "unset" : value);
}

export function levels(ptr: usize, size: u32): u64 {
  for (let level = Level.Trace; level <= Level.Error; level++) logAt(level, read(ptr, size));
  return answerText("");
}

export function count(ptr: usize, size: u32): u64 {
  const key = read(ptr, size);
  const before = state.get(key);
  if (before.error != null) return failed(before.error!);
  const value = before.bytes;
  const count = (value == null ? 1 : I32.parseInt(String.UTF8.decode(value)) + 1).toString();
  const done = state.set(key, String.UTF8.encode(count));
  return done.error == null ? answerText(count) : failed(done.error!);
}

export function keys(ptr: usize, size: u32): u64 {
  const found = state.list(read(ptr, size));
  return found.error == null ? answerText(found.keys.join(",")) : failed(found.error!);
}

export function forget(ptr: usize, size: u32): u64 {
  const done = state.remove(read(ptr, size));
  return done.error == null ? answerText("") : failed(done.error!);
}

export function fetch(ptr: usize, size: u32): u64 {
  const response = new Request(read(ptr, size)).header("accept", "text/plain").send();
  if (response.error != null) return failed(response.error!);
  const kind = response.header("Content-Type");
  return answerText(`${response.status} ${kind == null ? "none" : kind} ${String.UTF8.decode(response.body)}`);
}

export function buy(ptr: usize, size: u32): u64 {
  const cents = optionalNumber(price(ptr, size));
  return cents < 0 ? failed("there is no such article") : answerText(cents.toString());
}

export function crash(ptr: usize, size: u32): u64 {
  throw new Error("the input is " + read(ptr, size));
}
