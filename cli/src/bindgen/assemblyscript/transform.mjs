// Written by `hostel bindgen`: do not edit. Gives the module's exports the names of the world `{{world}}`, and adds the world.

import { Transform } from "assemblyscript/transform";

const exports = {
  cabi_realloc: "cabi_realloc",
{{exports}}};

const world = "{{section}}";

export default class extends Transform {
  afterCompile(module) {
    const { getExportInfo, ExternalFunction } = this.binaryen;
    const all = Array.from({ length: module.getNumExports() }, (_, i) => getExportInfo(module.getExportByIndex(i)));
    for (const { name } of all.filter(({ name }) => name != "memory")) module.removeExport(name);
    for (const { name, value, kind } of all) {
      if (kind == ExternalFunction && name in exports) module.addFunctionExport(value, exports[name]);
    }
    module.addCustomSection("component-type:{{world}}", Buffer.from(world, "base64"));
  }
}
