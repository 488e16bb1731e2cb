// Written by `hostel bindgen`: do not edit. The types of the world `{{world}}`, and what the plugin imports.

/** A value, or none. */
export class Option<T> {
  constructor(readonly isSome: bool, private readonly content: T) {}

  /** The value. Traps if there is none. */
  get value(): T {
    if (!this.isSome) unreachable();
    return this.content;
  }
}

export function some<T>(value: T): Option<T> {
  return new Option<T>(true, value);
}

export function none<T>(): Option<T> {
  return new Option<T>(false, zero<T>());
}

/** A value, or an error. */
export class Result<T, E> {
  constructor(readonly isOk: bool, private readonly content: T, private readonly problem: E) {}

  /** The value. Traps if there is an error. */
  get value(): T {
    if (!this.isOk) unreachable();
    return this.content;
  }

  /** The error. Traps if there is a value. */
  get error(): E {
    if (this.isOk) unreachable();
    return this.problem;
  }
}

export function ok<T, E>(value: T): Result<T, E> {
  return new Result<T, E>(true, value, zero<E>());
}

export function err<T, E>(error: E): Result<T, E> {
  return new Result<T, E>(false, zero<T>(), error);
}

/** Stands for a value of no type, as in `result<_, string>`; any number will do. */
export type Unit = u8;

/** Traps: what `abort` is replaced by. */
export function fail(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}

export function zero<T>(): T {
  if (isReference<T>()) {
    return changetype<T>(<usize>0);
  } else {
    return <T>0;
  }
}

export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  if (size == 0) return align;
  if (oldSize == 0) return heap.alloc(size);
  return heap.realloc(old, size);
}

/** Blocks of a call that are freed after it: those of arguments, and those of an export's result. */
const blocks = new Array<usize>();

export function block(size: usize): usize {
  const pointer = heap.alloc(size);
  blocks.push(pointer);
  return pointer;
}

/** Frees all blocks but the first `kept` ones. */
export function release(kept: i32): void {
  while (blocks.length > kept) heap.free(blocks.pop());
}

export function utf8(text: string): ArrayBuffer {
  return String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE);
}

export function lowerBytes(data: usize, size: usize): usize {
  const pointer = block(size);
  memory.copy(pointer, data, size);
  return pointer;
}

export function liftString(pointer: usize, size: usize): string {
  const text = String.UTF8.decodeUnsafe(pointer, size);
  if (size) heap.free(pointer);
  return text;
}

export function liftArray<T>(pointer: usize, length: usize): Array<T> {
  const list = new Array<T>(<i32>length);
  memory.copy(list.dataStart, pointer, length * sizeof<T>());
  if (length) heap.free(pointer);
  return list;
}

export function liftBytes(pointer: usize, length: usize): Uint8Array {
  const list = new Uint8Array(<i32>length);
  memory.copy(list.dataStart, pointer, length);
  if (length) heap.free(pointer);
  return list;
}
