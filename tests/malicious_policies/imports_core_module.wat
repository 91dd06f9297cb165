;; Imports a core module.
;; Expected: load error with its name.
(component
  (import "code" (core module (export "run" (func))))
)
