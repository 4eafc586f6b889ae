package watcher

import (
	"fmt"

	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// sink is a store for a reflector that passes on what convert makes of the
// objects, and keeps none of them: an informer would hold every object whole.
// Its functions are called by one goroutine at a time.
type sink[O v1.Object, T any] struct {
	convert func(O) T
	// put stores an object that was added or changed, remove removes one that was
	// deleted.
	put, remove func(T)
	// replace stores all objects that exist.
	replace func([]T)
}

// item is a converted object while the reflector collects a list.
type item[T any] struct {
	v1.ObjectMeta
	value T
}

var _ cache.TransformingStore = sink[v1.Object, any]{}

// Transformer implements cache.TransformingStore: a list that is streamed is
// collected as items and not as objects.
func (s sink[O, T]) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		o, ok := obj.(O)
		if !ok {
			return obj, nil
		}
		return &item[T]{ObjectMeta: v1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName()}, value: s.convert(o)}, nil
	}
}

func (s sink[O, T]) valueOf(obj any) (T, error) {
	switch o := obj.(type) {
	case *item[T]:
		return o.value, nil
	case O:
		return s.convert(o), nil
	default:
		var none T
		return none, fmt.Errorf("watching: got a %T", obj)
	}
}

// Add implements cache.ReflectorStore.
func (s sink[O, T]) Add(obj any) error { return s.pass(obj, s.put) }

// Update implements cache.ReflectorStore.
func (s sink[O, T]) Update(obj any) error { return s.pass(obj, s.put) }

// Delete implements cache.ReflectorStore.
func (s sink[O, T]) Delete(obj any) error { return s.pass(obj, s.remove) }

func (s sink[O, T]) pass(obj any, to func(T)) error {
	value, err := s.valueOf(obj)
	if err != nil {
		return err
	}
	to(value)
	return nil
}

// Replace implements cache.ReflectorStore.
func (s sink[O, T]) Replace(objects []any, _ string) error {
	values := make([]T, len(objects))
	for i, obj := range objects {
		value, err := s.valueOf(obj)
		if err != nil {
			return err
		}
		values[i] = value
	}
	s.replace(values)
	return nil
}

// Resync implements cache.ReflectorStore. There is nothing to do.
func (s sink[O, T]) Resync() error { return nil }
