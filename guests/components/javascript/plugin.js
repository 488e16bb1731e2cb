// The plugin of the example's contract, for QuickJS and for SpiderMonkey.

import { config, log } from 'hostel:example/host@0.1.0';

// QuickJS has neither TextEncoder nor TextDecoder.
const encode = (string) => Uint8Array.from(unescape(encodeURIComponent(string)), (unit) => unit.charCodeAt(0));
const escaped = (byte) => `%${byte.toString(16).padStart(2, '0')}`;
const decode = (bytes) => decodeURIComponent(Array.from(bytes, escaped).join(''));

// Only ASCII letters, as in the other languages.
const upperCase = (string) => string.replace(/[a-z]+/g, (letters) => letters.toUpperCase());

function change(string, style, frame) {
  log('info', `processing ${encode(string).length} bytes`);
  if (style.upper) string = upperCase(string);
  if (style.reverse) string = [...string].reverse().join('');
  switch (frame?.tag) {
    case 'configured':
      return `${config('prefix') ?? 'DEFAULT_PREFIX'}_${string}`;
    case 'prefix':
      return frame.val + string;
    case 'quotes':
      return frame.val[0] + string + frame.val[1];
    default:
      return string;
  }
}

export function process(input) {
  let string;
  try {
    string = decode(input);
  } catch {
    throw 'input is not UTF-8';
  }
  return encode(change(string, { upper: true }, { tag: 'configured' }));
}

function customize({ text: string, style, frame }) {
  if (string === '') throw { tag: 'empty' };
  const other = [...string].find((character) => character.codePointAt(0) > 127);
  if (style.ascii && other) throw { tag: 'not-ascii', val: other };
  const changed = change(string, style, frame);
  return { text: changed, length: [...changed].length };
}

// Strings compare by units of UTF-16, which is not always the order of their bytes in UTF-8.
function byWord([left], [right]) {
  const [a, b] = [encode(left), encode(right)];
  const index = a.findIndex((byte, index) => byte !== b[index]);
  return index < 0 ? a.length - b.length : a[index] - (b[index] ?? -1);
}

class Tally {
  #name;
  #counts = new Map();

  constructor(name) {
    this.#name = name;
  }

  #count(word, times) {
    this.#counts.set(word, (this.#counts.get(word) ?? 0) + times);
  }

  add(string) {
    for (const word of string.split(' ')) if (word) this.#count(word, 1);
    return this.#counts.size;
  }

  counts() {
    return [...this.#counts].sort(byWord);
  }

  name() {
    return this.#name;
  }

  static merge(left, right) {
    const merged = new Tally(`${left.#name}+${right.#name}`);
    for (const [word, times] of [...left.#counts, ...right.#counts]) merged.#count(word, times);
    return merged;
  }

  static finish(tally) {
    return tally.counts();
  }
}

export const text = { customize, Tally };
