// Write plugins in AssemblyScript for the hostel host. Build them with
//
//     asc plugin.ts -O3 --use abort=hostel/abortAndLog --outFile plugin.wasm
//
// or, for a plugin that must not import `host_log`, with `--use abort=hostel/abort`.
//
// An exported function returns `answer` with bytes, `answerText`, or `fail` with an error's message. A `throw` stops the
// plugin: WebAssembly's exceptions are not supported, so it can't become an error.
//
// Declare a function of your own host in one line. A result that is text, bytes or an optional number is a u64, which
// `optionalBytes` and `optionalNumber` read:
//
//     @external("shop", "price") declare function price(article: usize, size: u32): u64;

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

/** An answer of text. */
export function answerText(text: string): u64 {
  return answer(String.UTF8.encode(text));
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
  const value = optionalBytes(host_get_config(changetype<usize>(bytes), bytes.byteLength));
  return value == null ? null : String.UTF8.decode(value);
}

/** Text or bytes that a host function returned, if there are any. */
export function optionalBytes(packed: u64): ArrayBuffer | null {
  const ptr = (packed >> 32) as usize;
  const size = packed as u32;
  if (!ptr) return null;
  const bytes = new ArrayBuffer(size);
  memory.copy(changetype<usize>(bytes), ptr, size);
  deallocate(ptr, size);
  return bytes;
}

/** An optional number of 32 bits that a host function returned: -1 if there is none. */
export function optionalNumber(packed: u64): i64 {
  return packed >> 32 ? ((packed as u32) as i64) : -1;
}

/** Bytes or nothing, or the message of an error of the host's, which begins with a code. */
export class Result {
  constructor(
    public bytes: ArrayBuffer | null,
    public error: string | null,
  ) {}

  static of(packed: u64): Result {
    const bytes = optionalBytes(packed & ~(0x8000_0000 as u64));
    if (!(packed & 0x8000_0000)) return new Result(bytes, null);
    return new Result(null, bytes == null ? "an error of the host" : String.UTF8.decode(bytes));
  }
}

@external("env", "host_state_get")
declare function host_state_get(key: usize, size: u32): u64;

@external("env", "host_state_set")
declare function host_state_set(key: usize, size: u32, value: usize, valueSize: u32): u64;

@external("env", "host_state_delete")
declare function host_state_delete(key: usize, size: u32): u64;

@external("env", "host_state_list")
declare function host_state_list(prefix: usize, size: u32, after: usize, afterSize: u32, max: u32): u64;

/** Values that the host keeps for the plugin, beyond the call. */
export namespace state {
  /** The value of a key, or no bytes if there is none. */
  export function get(key: string): Result {
    const bytes = String.UTF8.encode(key);
    return Result.of(host_state_get(changetype<usize>(bytes), bytes.byteLength));
  }

  /** Sets the value of a key. */
  export function set(key: string, value: ArrayBuffer): Result {
    const bytes = String.UTF8.encode(key);
    return Result.of(
      host_state_set(changetype<usize>(bytes), bytes.byteLength, changetype<usize>(value), value.byteLength),
    );
  }

  /** Removes a key. Succeeds if there was none. `remove`, since `delete` is a word of the language. */
  export function remove(key: string): Result {
    const bytes = String.UTF8.encode(key);
    return Result.of(host_state_delete(changetype<usize>(bytes), bytes.byteLength));
  }

  /** At most 64 KiB of the keys that begin with a prefix and follow the key `after`, in the order of their bytes. No
   * keys mean that there are no more. `Result.error` has an error of the host's. */
  export function page(prefix: string, after: string | null = null): Keys {
    const bytes = String.UTF8.encode(prefix);
    const last = after == null ? new ArrayBuffer(0) : String.UTF8.encode(after);
    const from: usize = after == null ? 0 : changetype<usize>(last);
    const result = Result.of(
      host_state_list(changetype<usize>(bytes), bytes.byteLength, from, last.byteLength, u32.MAX_VALUE),
    );
    const keys = new Keys([], result.error);
    const page = result.bytes;
    if (page == null) return keys;
    let at = changetype<usize>(page);
    const end = at + page.byteLength;
    while (at + 4 <= end) {
      const size = load<u32>(at);
      keys.keys.push(String.UTF8.decodeUnsafe(at + 4, size));
      at += 4 + size;
    }
    return keys;
  }

  /** All keys that begin with a prefix. */
  export function list(prefix: string): Keys {
    const all = new Keys([], null);
    let next = page(prefix);
    while (next.error == null && next.keys.length) {
      all.keys = all.keys.concat(next.keys);
      next = page(prefix, all.keys[all.keys.length - 1]);
    }
    all.error = next.error;
    return all;
  }
}

/** Keys, or the message of an error of the host's. */
export class Keys {
  constructor(
    public keys: string[],
    public error: string | null,
  ) {}
}

@external("env", "host_http_request")
declare function host_http_request(request: usize, size: u32): u64;

/** An HTTP request, which the host sends if it grants the server. */
export class Request {
  /** Names and values, one after the other. */
  headers: string[] = [];
  body: ArrayBuffer = new ArrayBuffer(0);

  constructor(
    public url: string,
    public method: string = "GET",
  ) {}

  header(name: string, value: string): Request {
    this.headers.push(name);
    this.headers.push(value);
    return this;
  }

  /** Sends the request, and waits for the response. A status of 400 or more is no error. */
  send(): Response {
    let head = this.method + " " + this.url;
    let lines = 1;
    for (let at = 0; at < this.headers.length; at += 2) {
      head += "\n" + this.headers[at] + ": " + this.headers[at + 1];
      lines++;
    }
    // Another one would begin another line of the request.
    if (head.split("\n").length != lines) {
      return new Response("http-invalid: the request has a line end before its body");
    }
    const text = String.UTF8.encode(head + "\n\n");
    const request = new ArrayBuffer(text.byteLength + this.body.byteLength);
    memory.copy(changetype<usize>(request), changetype<usize>(text), text.byteLength);
    memory.copy(changetype<usize>(request) + text.byteLength, changetype<usize>(this.body), this.body.byteLength);
    const result = Result.of(host_http_request(changetype<usize>(request), request.byteLength));
    const response = new Response(result.error);
    if (result.bytes != null) response.read(result.bytes!);
    return response;
  }
}

/** The response to a request, or an error. */
export class Response {
  status: i32 = 0;
  /** Lines of a name, a colon, a space and a value. */
  headers: string[] = [];
  body: ArrayBuffer = new ArrayBuffer(0);

  /** The message of an error, which begins with a code. */
  constructor(public error: string | null) {}

  /** The first value of a header, or null. */
  header(name: string): string | null {
    const start = name.toLowerCase() + ": ";
    for (let at = 0; at < this.headers.length; at++) {
      const line = this.headers[at];
      if (line.substr(0, start.length).toLowerCase() == start) return line.substr(start.length);
    }
    return null;
  }

  /** Reads what the host returned. */
  read(text: ArrayBuffer): void {
    const ptr = changetype<usize>(text);
    const size = text.byteLength;
    for (let at = 0; at + 1 < size; at++) {
      // Two line ends.
      if (load<u16>(ptr + at) == 0x0a0a) {
        this.headers = String.UTF8.decodeUnsafe(ptr, at).split("\n");
        this.status = I32.parseInt(this.headers.shift());
        this.body = text.slice(at + 2);
        return;
      }
    }
    this.error = "the host's response is malformed";
  }
}
