// A plugin that throws, built without `--use abort`: the compiler imports `env.abort`, which the host grants with the log.

import { answer } from "./hostel";
export { allocate, deallocate } from "./hostel";

export function process(ptr: usize, size: u32): u64 {
  if (size) throw new Error("the input is " + String.UTF8.decodeUnsafe(ptr, size));
  return answer(new ArrayBuffer(0));
}
