// A plugin that logs, reads a setting, and answers.

import { answer, config, fail, isUtf8, log } from "./hostel";
export { allocate, deallocate } from "./hostel";

export function process(ptr: usize, size: u32): u64 {
  if (!isUtf8(ptr, size)) return fail("input is not UTF-8");
  log(`processing ${size} bytes`);
  const prefix = config("prefix");
  const head = String.UTF8.encode((prefix == null ? "DEFAULT_PREFIX" : prefix) + "_");
  const output = new ArrayBuffer(head.byteLength + size);
  let at = changetype<usize>(output);
  memory.copy(at, changetype<usize>(head), head.byteLength);
  at += head.byteLength;
  for (let i: u32 = 0; i < size; i++) {
    const letter = load<u8>(ptr + i);
    store<u8>(at + i, letter >= 0x61 && letter <= 0x7a ? letter - 0x20 : letter);
  }
  return answer(output);
}
