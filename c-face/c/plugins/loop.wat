;; Never ends.
(module (func (export "loop") (loop $on (br $on))))
