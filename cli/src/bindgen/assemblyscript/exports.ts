// Written by `hostel bindgen`: do not edit. Calls the functions of plugin.ts. To build the plugin:
//
//   asc {{world}}_exports.ts --transform ./{{world}}_exports.mjs -O3 --use abort={{world}}_bindings/fail --outFile plugin.wasm

import * as plugin from "./plugin";
import {
  Option,
  Result,
  Unit,
  block,
  err,
  liftArray,
  liftBytes,
  liftString,
  lowerBytes,
  none,
  ok,
  release,
  some,
  utf8,
{{names}}} from "./{{world}}_bindings";

export { cabi_realloc } from "./{{world}}_bindings";
