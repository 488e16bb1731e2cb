// Greets people: with the setting `greeting` = `Salut`, "Ann" becomes "Salut, Ann!".

import { answerText, config, fail, isUtf8, log } from "./hostel";
export { allocate, deallocate } from "./hostel";

export function process(ptr: usize, size: u32): u64 {
  if (!isUtf8(ptr, size)) return fail("the name is not UTF-8");
  if (size == 0) return fail("the name is empty");
  const name = String.UTF8.decodeUnsafe(ptr, size);
  log("greeting " + name);
  const set = config("greeting");
  const greeting = set == null ? "Hello" : set;
  return answerText(greeting + ", " + name + "!");
}
