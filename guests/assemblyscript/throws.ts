// A plugin that throws: the host logs the message.

import { answer } from "./hostel";
export { allocate, deallocate } from "./hostel";

export function process(ptr: usize, size: u32): u64 {
  if (size) throw new Error("the input is " + String.UTF8.decodeUnsafe(ptr, size));
  return answer(new ArrayBuffer(0));
}
