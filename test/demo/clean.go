package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"

	"drainer.dev/drainer/pkg/api"
)

// clean removes what the demonstration has made.
func (s *stage) clean() error {
	if s.cluster != nil {
		if s.drainer != nil {
			s.drainer.Kill()
		}
		return s.cluster.Stop()
	}
	// What interrupted the demonstration does not interrupt this; another
	// signal does.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := s.cleanOwn(ctx); err != nil {
		return fmt.Errorf("%w: %w\n%s", errLeft, err, s.byHand())
	}
	return nil
}

// cleanOwn lets drainer release the nodes, ends it, and deletes the namespace.
func (s *stage) cleanOwn(ctx context.Context) error {
	if s.drainer != nil {
		// Whatever goes wrong, no drainer keeps running after this.
		defer s.drainer.Kill()
		if err := s.releaseLeft(ctx); err != nil {
			return err
		}
	}
	say("Deleting namespace %s", s.namespace)
	err := s.client.CoreV1().Namespaces().Delete(ctx, s.namespace, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting namespace %s: %w", s.namespace, err)
	}
	return s.awaitNoNamespace(ctx)
}

// releaseLeft releases the nodes unless that is done.
func (s *stage) releaseLeft(ctx context.Context) error {
	list, err := s.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	annotated := false
	for i := range list.Items {
		_, found := list.Items[i].Annotations[api.DrainAnnotation]
		_, notice := list.Items[i].Annotations[api.DeadlineAnnotation]
		annotated = annotated || (found || notice) && s.uses(list.Items[i].Name)
	}
	if !annotated && s.allReleased(s.viewsOf(list)) {
		return nil
	}
	return s.release(ctx)
}

// awaitNoNamespace waits until the namespace and all that was in it are gone.
func (s *stage) awaitNoNamespace(ctx context.Context) error {
	options := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", s.namespace).String()}
	for {
		list, err := s.client.CoreV1().Namespaces().List(ctx, options)
		if err != nil {
			return fmt.Errorf("waiting until namespace %s is gone: %w", s.namespace, err)
		}
		if len(list.Items) == 0 {
			return nil
		}
		options.ResourceVersion = list.ResourceVersion
		w, err := s.client.CoreV1().Namespaces().Watch(ctx, options)
		if err != nil {
			return fmt.Errorf("waiting until namespace %s is gone: %w", s.namespace, err)
		}
		options.ResourceVersion = ""
		// The server ends watches from time to time: the list decides.
		for event := range w.ResultChan() {
			if event.Type == watch.Deleted {
				break
			}
		}
		w.Stop()
	}
}

// byHand says how to remove what is left.
func (s *stage) byHand() string {
	kubectl := "kubectl --context=" + s.context + " "
	drained := strings.Join(s.drained(), " ")
	return "What is left can be removed by hand:\n" +
		"  " + kubectl + "annotate node " + drained + " " + api.DrainAnnotation + "- " +
		api.DeadlineAnnotation + "- " + api.DrainedAnnotation + "- " + api.StatusAnnotation + "-\n" +
		"  " + kubectl + "uncordon " + drained + "\n" +
		"  " + kubectl + "delete namespace " + s.namespace
}
