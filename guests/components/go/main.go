// The plugin of the example's contract. build.sh puts the bindings beside it.
package main

import _ "hostel/plugin/exports/wit_exports"

// The compiler wants it. It is not called in a module of this kind.
func main() {}
