;; Grows the common memory by as many pages as the learning id has bytes, and one of its own by as many as the db-id
;; has. Deletes if it got all of them, and refuses otherwise.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (memory $own 0)
    (func (export "delete-learning") (type $decide)
      (if (i32.eq (memory.grow $memory (local.get 1)) (i32.const -1))
        (then (return (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 7)))))
      (if (i32.eq (memory.grow $own (local.get 4)) (i32.const -1))
        (then (return (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 7)))))
      ;; What it got is there: its last byte can be written.
      (i32.store8 $memory (i32.sub (i32.shl (memory.size $memory) (i32.const 16)) (i32.const 1)) (i32.const 1))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
