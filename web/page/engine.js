
// The module of hostel, called by hostel's native ABI: bytes go in at a pointer from its allocator, and an answer comes
// out as a pointer and a length. Bit 31 of the length tells that it is an error.
class Engine {
  static module;

  // Unpacks and compiles the module that the page has in it.
  static async compile() {
    const packed = atob(document.querySelector("#engine").textContent);
    const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    Engine.module = await WebAssembly.compile(await new Response(stream).arrayBuffer());
  }

  // Begins anew, as after a trap: its memory is that of no plugin before.
  async start() {
    const imports = { env: { host_log: (ptr, size) => console.error(decode(this.bytes(ptr, size))) } };
    this.exports = (await WebAssembly.instantiate(Engine.module, imports)).exports;
  }

  bytes(ptr, size) {
    return new Uint8Array(this.exports.memory.buffer, ptr >>> 0, size);
  }

  call(name, input) {
    const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
    const ptr = this.exports.allocate(bytes.length) >>> 0;
    if (ptr === 0) throw new RangeError("no memory for " + bytes.length + " bytes");
    this.bytes(ptr, bytes.length).set(bytes);
    const answer = BigInt.asUintN(64, this.exports[name](ptr, bytes.length));
    this.exports.deallocate(ptr, bytes.length);
    const [at, marked] = [Number(answer >> 32n), Number(answer & 0xffffffffn)];
    const size = marked % 2 ** 31;
    const copy = this.bytes(at, size).slice();
    this.exports.deallocate(at, size);
    if (marked !== size) throw new Error(decode(copy));
    return copy;
  }

  json(name, input) {
    return JSON.parse(decode(this.call(name, input)));
  }
}

function decode(bytes) {
  return new TextDecoder().decode(bytes);
}
