;; Asks for the environment of the process. Must be refused when it is loaded, with its name.
(component
  (import "wasi:cli/environment@0.2.0" (instance
    (export "get-environment" (func (result (list (tuple string string)))))
  ))
)
