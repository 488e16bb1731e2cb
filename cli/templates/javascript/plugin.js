// Greets people: if the host's `setting('greeting')` is `Salut`, "Ann" becomes "Salut, Ann!". The contract is in `wit/`.

import setting from 'setting';

export function process(input) {
  let name;
  try {
    name = new TextDecoder('utf-8', { fatal: true }).decode(input);
  } catch {
    throw 'the name is not UTF-8';
  }
  if (name === '') throw 'the name is empty';
  // The log of the plugin.
  console.log(`greeting ${name}`);
  const greeting = setting('greeting') ?? 'Hello';
  return new TextEncoder().encode(`${greeting}, ${name}!`);
}
