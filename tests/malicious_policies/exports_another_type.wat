;; Exports a function of the right name that takes nothing and gives nothing. Must be refused when it is loaded.
(component
  (core module $policy (func (export "run")))
  (core instance $policy (instantiate $policy))
  (func (export "delete-learning") (canon lift (core func $policy "run")))
)
