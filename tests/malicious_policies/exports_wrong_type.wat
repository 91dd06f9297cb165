;; Exports a function with the right name, without parameters and without a result.
;; Expected: load error.
(component
  (core module $policy (func (export "run")))
  (core instance $policy (instantiate $policy))
  (func (export "delete-learning") (canon lift (core func $policy "run")))
)
