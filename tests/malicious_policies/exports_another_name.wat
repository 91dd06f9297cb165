;; Exports its function under another name. Must be refused when it is loaded.
(component
  (core module $policy (func (export "run")))
  (core instance $policy (instantiate $policy))
  (func (export "delete-learnings") (canon lift (core func $policy "run")))
)
