// What plugins in AssemblyScript for the hostel host share: the allocator, answers, and what the host grants. The
// packed shape. Build them with
//
//     asc plugin.ts -O3 --use abort=hostel/abortAndLog --outFile plugin.wasm
//
// or, for a plugin that must not import `host_log`, with `--use abort=hostel/abort`.

/** Traps: for `throw`, and for failures of the run time, such as no memory. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}

/** Writes the message and its place to the plugin's log, then traps. */
export function abortAndLog(message: string | null, file: string | null, line: u32, column: u32): void {
  // A second failure, such as no memory for this text, must not come back here.
  if (!aborting) {
    aborting = true;
    const text = message == null ? "abort" : message;
    const place = file == null ? "" : " at " + file + ":" + line.toString() + ":" + column.toString();
    log(text + place);
  }
  unreachable();
}

/** Whether `abortAndLog` runs. */
let aborting = false;

/** What an allocation of no bytes is: not 0, and nothing to read or write. */
const NOTHING: usize = 8;

export function allocate(size: u32): usize {
  return size ? heap.alloc(size) : NOTHING;
}

export function deallocate(ptr: usize, size: u32): void {
  if (size) heap.free(ptr);
}

/** An answer in a buffer that the host frees. */
export function answer(bytes: ArrayBuffer): u64 {
  const size = bytes.byteLength;
  const ptr = allocate(size);
  memory.copy(ptr, changetype<usize>(bytes), size);
  return ((ptr as u64) << 32) | (size as u64);
}

/** An answer that is an error. */
export function fail(message: string): u64 {
  return answer(String.UTF8.encode(message)) | 0x8000_0000;
}

/** Whether bytes are UTF-8: whether they are the same after a way through UTF-16, with what is not text replaced. */
export function isUtf8(ptr: usize, size: u32): bool {
  const bytes = String.UTF8.encode(String.UTF8.decodeUnsafe(ptr, size), false, String.UTF8.ErrorMode.REPLACE);
  return bytes.byteLength == size && memory.compare(changetype<usize>(bytes), ptr, size) == 0;
}

@external("env", "host_log")
declare function host_log(ptr: usize, size: u32): void;

@external("env", "host_log_at")
declare function host_log_at(level: u32, ptr: usize, size: u32): void;

@external("env", "host_get_config")
declare function host_get_config(ptr: usize, size: u32): u64;

/** Writes one record to the plugin's log. */
export function log(text: string): void {
  const bytes = String.UTF8.encode(text);
  host_log(changetype<usize>(bytes), bytes.byteLength);
}

/** How important a record is, from least to most. `log` writes at `Info`. */
export enum Level {
  Trace,
  Debug,
  Info,
  Warn,
  Error,
}

/** Writes one record to the plugin's log, at a level. */
export function logAt(level: Level, text: string): void {
  const bytes = String.UTF8.encode(text);
  host_log_at(level, changetype<usize>(bytes), bytes.byteLength);
}

/** The value of a setting, if it is set. */
export function config(key: string): string | null {
  const bytes = String.UTF8.encode(key);
  const packed = host_get_config(changetype<usize>(bytes), bytes.byteLength);
  const ptr = (packed >> 32) as usize;
  const size = packed as u32;
  if (!ptr) return null;
  const value = String.UTF8.decodeUnsafe(ptr, size);
  deallocate(ptr, size);
  return value;
}
