;; Imports the environment of WASI.
;; Expected: load error with its name.
(component
  (import "wasi:cli/environment@0.2.0" (instance
    (export "get-environment" (func (result (list (tuple string string)))))
  ))
)
