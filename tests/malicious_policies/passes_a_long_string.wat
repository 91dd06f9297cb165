;; Names an owner of 100,000 bytes, all of them in its memory. That is more than it may pass to the host, so it must be
;; stopped: 500, and the record is kept.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete-if-owned-by (i32.const 0) (i32.const 100000) (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
