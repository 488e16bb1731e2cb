// What JavaScript has of the features that `guests/tour/component.toml` tests. The contract is in `wit/`.

import { get as getSetting } from 'hostel:tour/settings';
import { price } from 'hostel:tour/shop';
import * as state from 'hostel:tour/state';

const encode = (string) => new TextEncoder().encode(string);

function decode(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw 'input is not UTF-8';
  }
}

export function bytes(input) {
  return input.toReversed();
}

export function text(input) {
  return encode(decode(input).toUpperCase());
}

export function json(input) {
  let order;
  try {
    order = JSON.parse(decode(input));
  } catch (error) {
    throw `input is not the expected JSON: ${error.message}`;
  }
  return encode(JSON.stringify({ ...order, total: order.count * 1999 }));
}

export function fail(input) {
  const string = decode(input);
  if (Number.isNaN(Number(string))) throw `\`${string}\` is no number`;
  return input;
}

export function setting(input) {
  return encode(getSetting(decode(input)) ?? 'unset');
}

export function levels(input) {
  const line = decode(input);
  console.log(line);
  console.error(line);
  return new Uint8Array();
}

export function count(input) {
  const key = decode(input);
  const count = Number(state.get(key) ?? 0) + 1;
  state.set(key, `${count}`);
  return encode(`${count}`);
}

export function keys(input) {
  return encode(state.keys(decode(input)).join());
}

export function forget(input) {
  state.delete(decode(input));
  return new Uint8Array();
}

export async function fetch(input) {
  let response;
  try {
    response = await globalThis.fetch(decode(input), { headers: { accept: 'text/plain' } });
  } catch (error) {
    throw `the request failed: ${error.message}`;
  }
  return encode(`${response.status} ${response.headers.get('content-type')} ${await response.text()}`);
}

export function buy(input) {
  const cents = price(decode(input));
  if (cents === undefined) throw 'there is no such article';
  return encode(`${cents}`);
}

export function crash(input) {
  throw new Error(`the input is ${decode(input)}`);
}
