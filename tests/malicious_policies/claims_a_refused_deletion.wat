;; Says that the record is deleted, though storage answered that it belongs to another. Must not be believed: 500, and
;; the record is kept.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete-if-owned-by (i32.const 2056) (i32.const 7) (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
