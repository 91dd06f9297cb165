;; Names an owner at the last address with a length that leads around to the first. Must be stopped: 500, and the
;; record is kept.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete-if-owned-by (i32.const -1) (i32.const -1) (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
