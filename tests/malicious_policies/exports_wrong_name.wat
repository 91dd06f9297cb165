;; Exports its function under another name.
;; Expected: load error.
(component
  (core module $policy (func (export "run")))
  (core instance $policy (instantiate $policy))
  (func (export "delete-learnings") (canon lift (core func $policy "run")))
)
