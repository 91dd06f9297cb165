;; Passes an owner that is not UTF-8.
;; Expected: sandbox error, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (data (i32.const 2064) "\c3\28")
    (func (export "delete-learning") (type $decide)
      (call $delete-if-owned-by (i32.const 2064) (i32.const 2) (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
