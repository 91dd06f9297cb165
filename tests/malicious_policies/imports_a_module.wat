;; Asks for a core module to run. Must be refused when it is loaded, with its name.
(component
  (import "code" (core module (export "run" (func))))
)
